-- One row per song file in the catalogue, as delivered.
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
-- Small compared with the events: a copy on every node means that joins do not move the events.
diststyle all;
