-- One row per song file of the catalogue that was ever loaded, as delivered, and the batch that brought it.
create table if not exists catalogue (
    num_songs integer,
    artist_id varchar(32) not null,
    artist_latitude double precision,
    artist_longitude double precision,
    artist_location varchar(1024),
    artist_name varchar(1024),
    song_id varchar(32) not null,
    title varchar(1024),
    duration decimal(10, 5),
    year integer,
    batch_id integer not null
)
-- Small compared with the events: a copy on every node means that joins do not move the events.
diststyle all
sortkey (song_id);
