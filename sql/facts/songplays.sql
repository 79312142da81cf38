-- One row per NextSong event. Of an event's deliveries the newest batch decides, and in it the first row by value.
create table if not exists songplays (
    songplay_id varchar(32) not null,  -- md5 of the time, the listener, the session and the place in it
    start_time timestamp not null,     -- when the song began, UTC, to the millisecond
    user_id integer,                   -- listener, as in users; null if nobody was logged in
    level varchar(16),                 -- plan of the listener at that moment, free or paid
    song_id varchar(32),               -- song, as in songs; null if the catalogue lacks title, artist and duration
    artist_id varchar(32),             -- artist of that song, as in artists
    session_id integer,                -- number of the session; not unique among listeners
    location varchar(1024),            -- place of the listener
    user_agent varchar(1024),          -- browser and system, as the browser names itself
    primary key (songplay_id)
)
-- Queries follow a user's sessions (stored on one slice) over a span of time (read in order).
distkey (user_id)
sortkey (start_time);

with deliveries as (
    select
        md5(
            datediff(ms, timestamp 'epoch', ts)::varchar
            || '-' || coalesce(user_id::varchar, 'null')
            || '-' || coalesce(session_id::varchar, 'null')
            || '-' || coalesce(item_in_session::varchar, 'null')
        ) as songplay_id,
        ts as start_time,
        user_id,
        level,
        session_id,
        location,
        user_agent,
        song,
        artist,
        length,
        row_number() over (
            partition by ts, user_id, session_id, item_in_session
            order by batch_id desc, level, location, user_agent, song, artist, length
        ) as delivery
    from events
    where page = 'NextSong'
),

-- the rows of each song's newest batch
live as (
    select
        title,
        artist_name,
        duration,
        song_id,
        artist_id,
        batch_id,
        max(batch_id) over (partition by song_id) as newest
    from catalogue
),

entries as (
    select
        title,
        artist_name,
        duration,
        song_id,
        artist_id,
        row_number() over (
            partition by title, artist_name, duration
            order by song_id, artist_id
        ) as entry
    from live
    where batch_id = newest
)

select
    deliveries.songplay_id,
    deliveries.start_time,
    deliveries.user_id,
    deliveries.level,
    entries.song_id,
    entries.artist_id,
    deliveries.session_id,
    deliveries.location,
    deliveries.user_agent
from deliveries
left join entries
    on entries.title = deliveries.song
    and entries.artist_name = deliveries.artist
    and entries.duration = deliveries.length
    and entries.entry = 1
where deliveries.delivery = 1;

-- The moments of arriving plays, of plays with an arriving song, and of plays whose text is that of an arriving song.
select
    ts,
    ts as start_time
from arrived_events
where page = 'NextSong'

union all

select
    start_time as ts,
    start_time
from songplays
where song_id in (select arrived_catalogue.song_id from arrived_catalogue)

union all

select
    events.ts,
    events.ts as start_time
from events
inner join arrived_catalogue
    on arrived_catalogue.title = events.song
    and arrived_catalogue.artist_name = events.artist
    and arrived_catalogue.duration = events.length
where events.page = 'NextSong';
