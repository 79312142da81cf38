-- An event delivered more than once in a batch has the same content each time.
with repeated as (
    select
        ts,
        user_id,
        session_id,
        item_in_session
    from staging_events
    where page = 'NextSong'
    group by
        ts,
        user_id,
        session_id,
        item_in_session
    having count(*) > 1
),

contents as (
    select distinct
        events.ts,
        events.user_id,
        events.session_id,
        events.item_in_session,
        events.level,
        events.location,
        events.user_agent,
        events.song,
        events.artist,
        events.length
    from staging_events as events
    inner join repeated
        on repeated.ts = events.ts
        and coalesce(repeated.user_id, -1) = coalesce(events.user_id, -1)
        and coalesce(repeated.session_id, -1) = coalesce(events.session_id, -1)
        and coalesce(repeated.item_in_session, -1) = coalesce(events.item_in_session, -1)
    where events.page = 'NextSong'
)

select
    ts,
    user_id,
    session_id,
    item_in_session,
    count(*) as count_contents
from contents
group by
    ts,
    user_id,
    session_id,
    item_in_session
having count(*) > 1
