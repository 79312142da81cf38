-- One row per artist id. Of the spellings in each song's newest batch, the first by name, then by location ("X" before "X feat. Y").
create table if not exists artists (
    artist_id varchar(32) not null,  -- key of the artist in the catalogue
    name varchar(1024),              -- name
    location varchar(1024),          -- place, in words
    latitude double precision,       -- latitude of the place, in degrees
    longitude double precision,      -- longitude of the place, in degrees
    primary key (artist_id)
)
-- Small and joined to every matched play: a copy on every node.
diststyle all
sortkey (artist_id);

with live as (
    select
        artist_id,
        artist_name,
        artist_location,
        artist_latitude,
        artist_longitude,
        batch_id,
        max(batch_id) over (partition by song_id) as newest
    from catalogue
),

spellings as (
    select
        artist_id,
        artist_name as name,
        artist_location as location,
        artist_latitude as latitude,
        artist_longitude as longitude,
        row_number() over (
            partition by artist_id
            order by artist_name, artist_location, artist_latitude, artist_longitude
        ) as spelling
    from live
    where batch_id = newest
)

select
    artist_id,
    name,
    location,
    latitude,
    longitude
from spellings
where spelling = 1;
