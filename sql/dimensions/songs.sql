-- One row per song id in the catalogue. Of a song's entries the newest batch decides, and in it the first by title, artist, year and duration.
create table if not exists songs (
    song_id varchar(32) not null,    -- key of the song in the catalogue
    title varchar(1024),             -- title
    artist_id varchar(32) not null,  -- artist, as in artists
    year integer,                    -- year of release; 0 if it is not known
    duration decimal(10, 5),         -- duration in seconds
    primary key (song_id)
)
-- Small and joined to every matched play: a copy on every node.
diststyle all
sortkey (song_id);

with entries as (
    select
        song_id,
        title,
        artist_id,
        year,
        duration,
        row_number() over (
            partition by song_id
            order by batch_id desc, title, artist_id, year, duration
        ) as entry
    from catalogue
)

select
    song_id,
    title,
    artist_id,
    year,
    duration
from entries
where entry = 1;
