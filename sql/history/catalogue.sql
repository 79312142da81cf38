-- One row per song file of the catalogue that was ever loaded, as delivered, and the batch that brought it.
create table if not exists catalogue (
    num_songs integer,                  -- number of songs in the file
    artist_id varchar(32) not null,     -- key of the artist in the catalogue
    artist_latitude double precision,   -- latitude of the artist's place, in degrees
    artist_longitude double precision,  -- longitude of the artist's place, in degrees
    artist_location varchar(1024),      -- place of the artist, in words
    artist_name varchar(1024),          -- name of the artist in the catalogue
    song_id varchar(32) not null,       -- key of the song in the catalogue
    title varchar(1024),                -- title of the song in the catalogue
    duration decimal(10, 5),            -- duration of the song in seconds
    year integer,                       -- year of release; 0 if it is not known
    batch_id integer not null           -- batch that brought the record
)
-- Small compared with the events: a copy on every node means that joins do not move the events.
diststyle all
sortkey (song_id);
