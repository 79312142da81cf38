-- Every distinct NextSong event staged is in songplays.
with staged as (
    select distinct
        ts,
        user_id,
        session_id,
        item_in_session
    from staging_events
    where page = 'NextSong'
)

select
    staged.ts,
    staged.user_id,
    staged.session_id,
    staged.item_in_session
from staged
left join songplays
    on songplays.songplay_id = md5(
        datediff(ms, timestamp 'epoch', staged.ts)::varchar
        || '-' || coalesce(staged.user_id::varchar, '')
        || '-' || coalesce(staged.session_id::varchar, '')
        || '-' || coalesce(staged.item_in_session::varchar, '')
    )
where songplays.songplay_id is null
