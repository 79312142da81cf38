-- The practical limit that the bench compares with: the same tables, by what DuckDB does best.
set preserve_insertion_order = false;

create table staging_events as
select * replace (try_cast(nullif(user_id, '') as integer) as user_id, epoch_ms(ts) as ts)
from (
    select
        artist, auth, firstName as first_name, gender, itemInSession as item_in_session, lastName as last_name,
        length, level, location, method, page, registration, sessionId as session_id, song, status, ts,
        userAgent as user_agent, userId as user_id
    from read_json(
        getvariable('log_data'),
        format = 'newline_delimited',
        columns = {
            artist: 'varchar', auth: 'varchar', firstName: 'varchar', gender: 'varchar', itemInSession: 'integer',
            lastName: 'varchar', length: 'decimal(10, 5)', level: 'varchar', location: 'varchar', method: 'varchar',
            page: 'varchar', registration: 'double', sessionId: 'integer', song: 'varchar', status: 'integer',
            ts: 'bigint', userAgent: 'varchar', userId: 'varchar'
        }
    )
);

create table staging_songs as
from read_json(
    getvariable('song_data'),
    columns = {
        num_songs: 'integer', artist_id: 'varchar', artist_latitude: 'double', artist_longitude: 'double',
        artist_location: 'varchar', artist_name: 'varchar', song_id: 'varchar', title: 'varchar',
        duration: 'decimal(10, 5)', year: 'integer'
    }
);

create table songplays as
with plays as (
    select
        md5(concat_ws('-', epoch_ms(ts), coalesce(user_id::varchar, ''), session_id, item_in_session)) as songplay_id,
        ts as start_time, user_id, level, session_id, location, user_agent, song, artist, length
    from staging_events
    where page = 'NextSong'
    qualify row_number() over (
        partition by ts, user_id, session_id, item_in_session order by level, location, user_agent, song, artist, length
    ) = 1
)

select songplay_id, start_time, user_id, level, song_id, artist_id, session_id, location, user_agent
from plays
left join (
    select distinct on (title, artist_name, duration) title, artist_name, duration, song_id, artist_id
    from staging_songs
    order by song_id, artist_id
) as catalogue on title = song and artist_name = artist and duration = length;

create table users as
select distinct on (user_id) user_id, first_name, last_name, gender, level, ts as updated_at
from staging_events
where page = 'NextSong' and user_id is not null
order by ts desc, first_name, last_name, gender, level;

create table songs as
select distinct on (song_id) song_id, title, artist_id, year, duration
from staging_songs
order by title, artist_id, year, duration;

create table artists as
select distinct on (artist_id)
    artist_id, artist_name as name, artist_location as location, artist_latitude as latitude,
    artist_longitude as longitude
from staging_songs
order by artist_name, artist_location;

create table time as
select
    ts as start_time, hour(ts) as hour, day(ts) as day, week(ts) as week, month(ts) as month, year(ts) as year,
    dayofweek(ts) as weekday
from (select distinct ts from staging_events where page = 'NextSong');
