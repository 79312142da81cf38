-- One row per NextSong event. An event delivered twice counts once: the first row by value.
create table if not exists songplays (
    songplay_id varchar(32) not null,
    start_time timestamp not null,
    user_id integer,
    level varchar(16),
    song_id varchar(32),
    artist_id varchar(32),
    session_id integer,
    location varchar(1024),
    user_agent varchar(1024),
    primary key (songplay_id)
)
-- Queries follow a user's sessions (stored on one slice) over a span of time (read in order).
distkey (user_id)
sortkey (start_time);

with plays as (
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
            order by level, location, user_agent, song, artist, length
        ) as delivery
    from staging_events
    where page = 'NextSong'
),

catalogue as (
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
    from staging_songs
)

select
    plays.songplay_id,
    plays.start_time,
    plays.user_id,
    plays.level,
    catalogue.song_id,
    catalogue.artist_id,
    plays.session_id,
    plays.location,
    plays.user_agent
from plays
left join catalogue
    on catalogue.title = plays.song
    and catalogue.artist_name = plays.artist
    and catalogue.duration = plays.length
    and catalogue.entry = 1
where plays.delivery = 1;
