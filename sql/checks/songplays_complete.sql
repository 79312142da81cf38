-- Every distinct NextSong event of history is in songplays.
select distinct
    events.ts,
    events.user_id,
    events.session_id,
    events.item_in_session
from arrived_events as events
left join songplays
    on songplays.start_time = events.ts
    and songplays.songplay_id = md5(
        datediff(ms, timestamp 'epoch', events.ts)::varchar
        || '-' || coalesce(events.user_id::varchar, 'null')
        || '-' || coalesce(events.session_id::varchar, 'null')
        || '-' || coalesce(events.item_in_session::varchar, 'null')
    )
where
    events.page = 'NextSong'
    and songplays.songplay_id is null
