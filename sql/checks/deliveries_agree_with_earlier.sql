-- Events that come again in a later batch have the same content. Looks at batches since the checks last held.
with arrived as (
    select distinct
        ts,
        user_id,
        session_id,
        item_in_session,
        level,
        location,
        user_agent,
        song,
        artist,
        length,
        batch_id
    from events
    where
        page = 'NextSong'
        and batch_id > (
            select coalesce(max(table_loads.batch_id), 0)
            from table_loads
            where table_loads.table_name = 'checks' and table_loads.definition <> ''
        )
),

-- of most batches there is one file; of the others the first stands for all
files as (
    select
        batch_id,
        min(url) as url
    from loaded_files
    where source = 'log_data' and set_aside is null
    group by batch_id
)

select distinct
    arrived.ts,
    arrived.user_id,
    arrived.session_id,
    arrived.item_in_session,
    arrived.batch_id,
    files.url as file,
    earlier.batch_id as earlier_batch_id,
    earlier_files.url as earlier_file
from arrived
inner join events as earlier
    on earlier.ts = arrived.ts
    and earlier.batch_id < arrived.batch_id
    and earlier.page = 'NextSong'
    and coalesce(earlier.user_id, -1) = coalesce(arrived.user_id, -1)
    and coalesce(earlier.session_id, -1) = coalesce(arrived.session_id, -1)
    and coalesce(earlier.item_in_session, -1) = coalesce(arrived.item_in_session, -1)
inner join files
    on files.batch_id = arrived.batch_id
inner join files as earlier_files
    on earlier_files.batch_id = earlier.batch_id
where
    coalesce(earlier.level, '') <> coalesce(arrived.level, '')
    or coalesce(earlier.location, '') <> coalesce(arrived.location, '')
    or coalesce(earlier.user_agent, '') <> coalesce(arrived.user_agent, '')
    or coalesce(earlier.song, '') <> coalesce(arrived.song, '')
    or coalesce(earlier.artist, '') <> coalesce(arrived.artist, '')
    or coalesce(earlier.length, -1) <> coalesce(arrived.length, -1)
