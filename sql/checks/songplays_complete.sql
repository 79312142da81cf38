-- Every distinct NextSong event of history is in songplays. Looks at batches since the checks last held.
select distinct
    events.ts,
    events.user_id,
    events.session_id,
    events.item_in_session
from events
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
    and events.batch_id > (
        select coalesce(max(table_loads.batch_id), 0)
        from table_loads
        where table_loads.table_name = 'checks' and table_loads.definition <> ''
    )
