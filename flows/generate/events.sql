-- Generates Sparkify's users, songs and events. Every choice is a hash of the seed and of what the choice is for, so the
-- same seed generates the same data on any number of threads. Texts are stored as they appear between quotes in JSON.
create macro chance(what, a, b) as (hash(getvariable('seed'), what, a, b) >> 11)::double / (1::bigint << 53);
create macro pick(words, what, a) as words[1 + (chance(what, a, 0) * len(words))::integer % len(words)];
create macro digest(what, a) as upper(sha256(concat(getvariable('seed'), what, a)));
create macro letters(text) as translate(text, '0123456789', 'GHIJKLMNOP');
create macro code(what, a) as letters(left(digest(what, a), 5)) || '12' || right(digest(what, a), 9);
create macro song_count() as getvariable('songs') * 5 // 3;
create macro artist_count() as 1 + getvariable('songs') * 2 // 3;
create macro day_ms() as 86400000;
create macro never() as 1::bigint << 62;

create table artists as
select
    n as artist,
    'AR' || code('artist', n) as artist_id,
    case n % 3
        when 0 then 'The ' || pick(getvariable('adjectives'), 'the', n) || ' ' || pick(getvariable('nouns'), 'the', n) || 's'
        when 1 then pick(getvariable('first_names'), 'solo', n) || ' ' || pick(getvariable('last_names'), 'solo', n)
        else pick(getvariable('nouns'), 'duo', n) || ' / ' || pick(getvariable('adjectives'), 'duo', n)
    end as name,
    case when chance('place', n, 0) < 0.7 then pick(getvariable('places'), 'place', n) else '' end as location,
    case when chance('map', n, 0) < 0.4 then round(-60 + 120 * chance('latitude', n, 0), 5) end as latitude,
    case when chance('map', n, 0) < 0.4 then round(-180 + 360 * chance('longitude', n, 0), 5) end as longitude
from range(artist_count()) as numbers(n);

-- In order of popularity. Two in five songs are not in the catalogue.
create table songs as
with numbered as (
    select n, (chance('artist', n, 0) ** 1.5 * artist_count())::bigint % artist_count() as artist
    from range(song_count()) as numbers(n)
)

select
    n as song,
    'SO' || code('song', n) as song_id,
    'TRA' || case when chance('shelf', n, 0) < 0.5 then 'A' else 'B' end || substr(code('track', n), 3) as track_id,
    pick(getvariable('adjectives'), 'title', n) || ' ' || pick(getvariable('nouns'), 'title', n)
        || case when chance('take', n, 0) < 0.1 then ' (Live)' else '' end as title,
    artist_id,
    location,
    latitude,
    longitude,
    name || case when chance('guest', n, 0) < 0.08 then ' feat. ' || pick(getvariable('first_names'), 'guest', n) else '' end
        as artist_name,
    round(120 + 240 * chance('length', n, 0), 5) as duration,
    case when chance('dated', n, 0) < 0.6 then 1960 + (50 * chance('year', n, 0))::integer else 0 end as year,
    row_number() over (order by chance('catalogued', n, 0), n) <= getvariable('songs') as is_catalogued
from numbered
inner join artists using (artist);

create table users as
select
    n as user_id,
    pick(getvariable('first_names'), 'first', n) as first_name,
    pick(getvariable('last_names'), 'last', n) as last_name,
    case when chance('gender', n, 0) < 0.55 then 'F' else 'M' end as gender,
    pick(getvariable('places'), 'home', n) as location,
    pick(getvariable('agents'), 'agent', n) as user_agent,
    0.1 + 1.2 * chance('habit', n, 0) ** 2 as sessions_a_day,
    getvariable('start') - (90.0 * day_ms() * chance('registered', n, 0))::bigint as registration,
    chance('starts paid', n, 0) < 0.15 as starts_paid,
    case when chance('upgrades', n, 0) < 0.35 then getvariable('days') * chance('upgrade', n, 0) end as upgrade_day,
    -- a day after the upgrade
    case
        when chance('downgrades', n, 0) < 0.3
            then getvariable('days') - (getvariable('days') - coalesce(upgrade_day, 0)) * chance('downgrade', n, 0)
    end as downgrade_day
from range(1, getvariable('users') + 1) as numbers(n);

-- A session is `logged_out` anonymous steps, then `size` steps of its user, who may log out at the end.
create table sessions as
with visits as (
    select
        user_id,
        day,
        day * 2 + slot as visit,
        -- the day's rhythm: most sessions in the late afternoon, few at night
        ((day * 24 + (6 + 10 * (chance('hour', user_id, visit) + chance('drift', user_id, visit))) % 24) * 3600000)::bigint
            as start_ms
    from users
    cross join range(getvariable('days')) as days(day)
    cross join range(2) as slots(slot)
    where chance('visit', user_id, visit)
        < sessions_a_day / 2 * case when (getvariable('weekday') + day) % 7 in (0, 6) then 0.6 else 1.15 end
),

sized as (
    select
        *,
        chance('stranger', user_id, visit) < 0.04 as is_stranger,
        1 + least(-ln(1 - chance('size', user_id, visit)) * getvariable('session_size'), 200)::integer as size_of_user,
        chance('login', user_id, visit) as login,
        chance('logout', user_id, visit) < 0.2 as logs_out
    from visits
)

select
    row_number() over (order by start_ms, user_id, visit) as session_id,
    user_id,
    start_ms,
    least(
        lead(start_ms, 1, never()) over (partition by user_id order by start_ms, visit),
        getvariable('days') * day_ms()
    ) - start_ms as free_ms,
    case when is_stranger then 0 else size_of_user end as size,
    case
        when is_stranger then 1 + size_of_user % 3
        when login < 0.06 then 1
        when login < 0.09 then 2
        else 0
    end as logged_out,
    logs_out and not is_stranger as logs_out,
    1 + visit % 3 as turn
from sized;

-- A user upgrades in the first long session on or after the upgrade day, at step `turn`, and downgrades likewise, later.
create table plans as
with long_sessions as (
    select user_id, session_id, start_ms / day_ms() as day
    from sessions
    where size >= 6 and free_ms > 2700000
),

upgrades as (
    select
        users.user_id,
        starts_paid,
        downgrade_day,
        coalesce(min(session_id) filter (where day >= upgrade_day and not starts_paid), never()) as upgrade_session
    from users
    left join long_sessions on long_sessions.user_id = users.user_id
    group by all
)

select
    upgrades.user_id,
    starts_paid,
    upgrade_session,
    coalesce(
        min(session_id) filter (where day >= downgrade_day and (starts_paid or session_id > upgrade_session)), never()
    ) as downgrade_session
from upgrades
left join long_sessions on long_sessions.user_id = upgrades.user_id
group by all;

create table steps as
with numbered as (
    select
        session_id,
        user_id,
        free_ms,
        start_ms,
        size,
        logged_out,
        turn,
        item,
        item - logged_out as step,
        step between 0 and size - 1 + logs_out::integer as is_user,
        session_id in (upgrade_session, downgrade_session) and step >= 0 as turns,
        (starts_paid or (session_id, step) > (upgrade_session, turn + 1))
            and (session_id, step) <= (downgrade_session, turn + 1) as is_paid,
        chance('page', session_id, item) as page_chance
    from sessions
    inner join plans using (user_id)
    cross join range(logged_out + size + 2 * logs_out::integer) as items(item)
),

pages as (
    select
        *,
        case
            when not is_user and item = logged_out - 1 and size > 0 then 'Login'
            when not is_user then ['Home', 'About', 'Help'][1 + item % 3]
            when step = size then 'Logout'
            when turns and step = turn then if(is_paid, 'Downgrade', 'Upgrade')
            when turns and step = turn + 1 then if(is_paid, 'Submit Downgrade', 'Submit Upgrade')
            when turns and step = turn + 2 then 'Home'
            when step = 0 and (logged_out > 0 or chance('enters', session_id, 0) < 0.4) then 'Home'
            when page_chance < 0.9 then 'NextSong'
            when page_chance < 0.97 then 'Home'
            when page_chance < 0.977 then 'Settings'
            when page_chance < 0.984 then 'Help'
            when page_chance < 0.989 then 'About'
            when page_chance < 0.997 then if(is_paid, 'Downgrade', 'Upgrade')
            when page_chance < 0.9985 then 'Error'
            else 'Save Settings'
        end as page,
        case
            when page = 'NextSong' then (chance('choice', session_id, item) ** 2 * song_count())::bigint % song_count()
        end as song
    from numbered
)

select
    session_id,
    item,
    case when is_user then user_id end as user_id,
    page,
    is_paid,
    song,
    start_ms,
    free_ms,
    1000 * coalesce(floor(duration), 5 + floor(55 * chance('pause', session_id, item)))::bigint as lasts
from pages
left join songs using (song);

-- In order of time, so that a day's events are found without reading the others.
create table events as
select
    getvariable('start') + start_ms + coalesce(sum(lasts) over before, 0)::bigint as ts,
    session_id,
    item,
    user_id,
    page,
    is_paid,
    song
from steps
window before as (partition by session_id order by item rows between unbounded preceding and 1 preceding)
qualify coalesce(sum(lasts) over before, 0) < free_ms
order by ts, session_id, item;

-- The text around an event's own values, built once per user and once per song.
create table user_texts as
select
    user_id,
    concat(
        ',"auth":"Logged In","firstName":"', first_name, '","gender":"', gender, '","itemInSession":'
    ) as before_item,
    concat(',"lastName":"', last_name, '","length":') as before_length,
    concat(',"location":"', location, '","method":"') as before_method,
    concat(',"registration":', registration, '.0,"sessionId":') as before_session,
    concat(',"userAgent":"', replace(user_agent, '/', '\/'), '","userId":"', user_id, '"}') as ending
from users
union all
select
    null,
    ',"auth":"Logged Out","firstName":null,"gender":null,"itemInSession":',
    ',"lastName":null,"length":',
    ',"location":null,"method":"',
    ',"registration":null,"sessionId":',
    ',"userAgent":null,"userId":""}';

create table song_texts as
select
    song,
    concat('"', replace(artist_name, '/', '\/'), '"') as artist,
    concat('"', replace(title, '/', '\/'), '"') as title,
    duration::varchar as length
from songs
union all
select null, 'null', 'null', 'null';

create view log_lines as
select
    ts,
    session_id,
    item,
    concat(
        '{"artist":', artist, before_item, item, before_length, length, ',"level":"', if(is_paid, 'paid', 'free'), '"',
        before_method, if(page = 'NextSong' or is_change, 'PUT', 'GET'), '","page":"', page, '"', before_session, session_id,
        ',"song":', title, ',"status":', case when page = 'Error' then 404 when is_change then 307 else 200 end,
        ',"ts":', ts, ending
    ) as line
from (
    select *, page in ('Login', 'Logout', 'Save Settings', 'Submit Upgrade', 'Submit Downgrade') as is_change
    from events
) as events
inner join user_texts on user_texts.user_id is not distinct from events.user_id
inner join song_texts on song_texts.song is not distinct from events.song;

create view song_files as
select
    track_id,
    concat(
        '{"num_songs": 1, "artist_id": "', artist_id, '", "artist_latitude": ', coalesce(latitude::varchar, 'null'),
        ', "artist_longitude": ', coalesce(longitude::varchar, 'null'), ', "artist_location": "', location,
        '", "artist_name": "', artist_name, '", "song_id": "', song_id, '", "title": "', title,
        '", "duration": ', duration, ', "year": ', year, '}'
    ) as text
from songs
where is_catalogued;
