-- One row per record of the event logs that was ever loaded, as delivered, and the batch that brought it.
create table if not exists events (
    artist varchar(1024),           -- name of the artist, as the app logged it
    auth varchar(16),               -- Logged In, Logged Out or Guest
    first_name varchar(256),        -- first name of the listener
    gender varchar(16),             -- F or M, as the listener gave it
    item_in_session integer,        -- place of the event in its session, from 0
    last_name varchar(256),         -- last name of the listener
    length decimal(10, 5),          -- duration of the song in seconds
    level varchar(16),              -- plan of the listener, free or paid
    location varchar(1024),         -- place of the listener, as the app knew it
    method varchar(16),             -- HTTP method of the request
    page varchar(64),               -- page of the app; NextSong is a play
    registration double precision,  -- when the listener registered, in milliseconds since 1970 (UTC)
    session_id integer,             -- number of the session; not unique among listeners
    song varchar(1024),             -- title of the song, as the app logged it
    status integer,                 -- HTTP status of the answer
    ts timestamp not null,          -- when the event happened, UTC
    user_agent varchar(1024),       -- browser and system, as the browser names itself
    user_id integer,                -- number of the listener; null if nobody was logged in
    batch_id integer not null       -- batch that brought the record
)
-- Loads find events by time, and follow a user's events (stored on one slice).
distkey (user_id)
sortkey (ts);
