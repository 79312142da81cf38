-- One row per song, artist and duration in the catalogue, of each song's newest batch.
select distinct
    title,
    artist_name,
    duration
from (
    select
        title,
        artist_name,
        duration,
        batch_id,
        max(batch_id) over (partition by song_id) as newest
    from catalogue
) as delivered
where batch_id = newest
