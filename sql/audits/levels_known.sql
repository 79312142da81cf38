-- The level of every NextSong event is free or paid.
select
    ts,
    user_id,
    level
from staging_events
where page = 'NextSong' and (level is null or level not in ('free', 'paid'))
