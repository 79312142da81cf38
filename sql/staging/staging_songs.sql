-- One row per song file of the catalogue, as delivered.
create table if not exists staging_songs (
    num_songs integer,
    artist_id varchar(32) not null,
    artist_latitude double precision,
    artist_longitude double precision,
    artist_location varchar(1024),
    artist_name varchar(1024),
    song_id varchar(32) not null,
    title varchar(1024),
    duration decimal(10, 5),
    year integer
)
-- Small beside the events: a copy on every node keeps the events in place when the two are joined.
diststyle all;
