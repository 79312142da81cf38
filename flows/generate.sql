-- Sparkify's users, songs and events, made up. Every choice is a hash of the seed and of what is chosen for, so
-- the same seed makes the same data on any number of threads. Texts are kept as they stand between JSON's quotes.
create macro chance(what, a, b) as (hash(getvariable('seed'), what, a, b) >> 11)::double / (1::bigint << 53);
create macro pick(words, what, a) as words[1 + (chance(what, a, 0) * len(words))::integer % len(words)];
create macro code(what, a, size) as upper(left(sha256(concat(getvariable('seed'), what, a)), size));

create table artists as
select
    n as artist,
    'AR' || code('artist', n, 16) as artist_id,
    case n % 3
        when 0 then 'The ' || pick(getvariable('adjectives'), 'the', n) || ' ' || pick(getvariable('nouns'), 'the', n) || 's'
        when 1 then pick(getvariable('first_names'), 'solo', n) || ' ' || pick(getvariable('last_names'), 'solo', n)
        else pick(getvariable('nouns'), 'duo', n) || ' / ' || pick(getvariable('adjectives'), 'duo', n)
    end as name,
    case when chance('place', n, 0) < 0.7 then pick(getvariable('places'), 'place', n) else '' end as location,
    case when chance('map', n, 0) < 0.4 then round(-60 + 120 * chance('latitude', n, 0), 5) end as latitude,
    case when chance('map', n, 0) < 0.4 then round(-180 + 360 * chance('longitude', n, 0), 5) end as longitude
from range(1 + getvariable('songs') * 2 // 3) as numbers(n);

-- In order of popularity. Two in five are songs that the catalogue lacks.
create table songs as
select
    n as song,
    'SO' || code('song', n, 16) as song_id,
    translate(code('track', n, 24), '0123456789', 'GHIJKLMNOP') as track,
    pick(getvariable('adjectives'), 'title', n) || ' ' || pick(getvariable('nouns'), 'title', n)
        || case when chance('take', n, 0) < 0.1 then ' (Live)' else '' end as title,
    artists.* exclude (name),
    name || case when chance('guest', n, 0) < 0.08 then ' feat. ' || pick(getvariable('first_names'), 'guest', n) else '' end
        as artist_name,
    printf('%.5f', 120 + 240 * chance('length', n, 0)) as duration,
    case when chance('dated', n, 0) < 0.6 then 1960 + (50 * chance('year', n, 0))::integer else 0 end as year,
    row_number() over (order by chance('catalogued', n, 0), n) <= getvariable('songs') as is_catalogued
from range(getvariable('songs') * 5 // 3) as numbers(n)
inner join artists on artist = (chance('artist', n, 0) ** 1.5 * (select count(*) from artists))::integer % (select count(*) from artists);

create table users as
select
    n as user_id,
    pick(getvariable('first_names'), 'first', n) as first_name,
    pick(getvariable('last_names'), 'last', n) as last_name,
    case when chance('gender', n, 0) < 0.55 then 'F' else 'M' end as gender,
    pick(getvariable('places'), 'home', n) as location,
    pick(getvariable('agents'), 'agent', n) as user_agent,
    0.1 + 1.2 * chance('habit', n, 0) ** 2 as sessions_a_day,
    getvariable('start') - (90 * 86400000.0 * chance('registered', n, 0))::bigint as registration,
    chance('starts paid', n, 0) < 0.15 as starts_paid,
    case when chance('upgrades', n, 0) < 0.35 then getvariable('days') * chance('upgrade', n, 0) end as upgrade_day,
    case when chance('downgrades', n, 0) < 0.25 then 3 + getvariable('days') * chance('downgrade', n, 0) end as downgrade_day
from range(1, getvariable('users') + 1) as numbers(n);

create table sessions as
with visits as (
    select
        user_id,
        day,
        slot,
        -- the day's rhythm: a rise to the late afternoon, and few by night
        (day * 24 + (4 + 12 * (chance('hour', user_id, day * 2 + slot) + chance('drift', user_id, day * 2 + slot))) % 24)
            * 3600000 as start_ms
    from users
    cross join range(getvariable('days')) as days(day)
    cross join range(2) as slots(slot)
    where chance('visit', user_id, day * 2 + slot)
        < sessions_a_day / 2 * case when (getvariable('weekday') + day) % 7 in (0, 6) then 0.6 else 1.15 end
)

select
    row_number() over (order by start_ms, user_id, slot) as session_id,
    user_id,
    getvariable('start') + start_ms::bigint as start_ms,
    lead(start_ms, 1, 1e15) over (partition by user_id order by start_ms, slot) - start_ms as free_ms,
    start_ms / 86400000 as day,
    1 + least(-ln(1 - chance('size', user_id, day * 2 + slot)) * getvariable('session_size'), 200)::integer as size,
    chance('anonymous', user_id, day * 2 + slot) < 0.05 as is_anonymous
from visits;

-- A user upgrades in the first session after the day of it, and goes back in the first one after that day.
create table changes as
select
    user_id,
    starts_paid,
    min(session_id) filter (where day >= upgrade_day and not starts_paid) as upgrade_session,
    min(session_id) filter (where day >= downgrade_day) as downgrade_session
from users
inner join sessions using (user_id)
where not is_anonymous
group by all;

create table steps as
with pages as (
    select
        session_id,
        item,
        user_id,
        case
            when is_anonymous then ['Home', 'Login', 'About', 'Help'][1 + item % 4]
            when session_id = upgrade_session and item = size // 2 then 'Upgrade'
            when session_id = upgrade_session and item = size // 2 + 1 then 'Submit Upgrade'
            when session_id = downgrade_session and item = size // 2 then 'Downgrade'
            when session_id = downgrade_session and item = size // 2 + 1 and session_id > coalesce(upgrade_session, 0)
                then 'Submit Downgrade'
            when item = size + 1 and chance('leaves', session_id, 0) < 0.2 then 'Logout'
            when item = 0 and chance('enters', session_id, 0) < 0.5 then 'Home'
            when chance('page', session_id, item) < 0.88 then 'NextSong'
            else ['Home', 'Home', 'Home', 'Settings', 'Help', 'About', 'Error', 'Save Settings'][
                1 + (chance('other', session_id, item) * 8)::integer % 8
            ]
        end as page,
        (chance('choice', session_id, item) ** 2.5 * (select count(*) from songs))::integer % (select count(*) from songs)
            as song
    from sessions
    left join changes using (user_id)
    cross join range(case when is_anonymous then 1 + size % 3 else size + 2 end) as items(item)
)

select
    session_id,
    item,
    user_id,
    page,
    case when page = 'NextSong' then songs.song end as song,
    case when page = 'NextSong' then songs.duration end as length,
    1000 * case
        when page = 'NextSong' then (duration::double)::integer
        else 5 + (55 * chance('pause', session_id, item))::integer
    end as lasts
from pages
inner join songs using (song);

create table events as
with timed as (
    select
        steps.* exclude (lasts),
        is_anonymous,
        (start_ms + coalesce(sum(lasts) over (
            partition by session_id order by item rows between unbounded preceding and 1 preceding
        ), 0))::bigint as ts,
        free_ms
    from steps
    inner join sessions using (session_id)
    qualify ts - start_ms < free_ms and ts < getvariable('start') + getvariable('days') * 86400000
),

turns as (
    select
        user_id,
        min(ts) filter (where page = 'Submit Upgrade') as paid_from,
        min(ts) filter (where page = 'Submit Downgrade') as paid_to
    from timed
    group by user_id
)

select
    ts,
    '{"artist":' || coalesce('"' || replace(songs.artist_name, '/', '\/') || '"', 'null')
    || ',"auth":"' || case when is_anonymous then 'Logged Out' else 'Logged In' end
    || '","firstName":' || case when is_anonymous then 'null' else '"' || first_name || '"' end
    || ',"gender":' || case when is_anonymous then 'null' else '"' || gender || '"' end
    || ',"itemInSession":' || item
    || ',"lastName":' || case when is_anonymous then 'null' else '"' || last_name || '"' end
    || ',"length":' || coalesce(regexp_replace(timed.length, '\.?0+$', ''), 'null')
    || ',"level":"' || case
        when is_anonymous then 'free'
        when ts >= paid_to then 'free'
        when starts_paid or ts >= paid_from then 'paid'
        else 'free'
    end
    || '","location":' || case when is_anonymous then 'null' else '"' || users.location || '"' end
    || ',"method":"' || case when page in ('NextSong', 'Logout', 'Login') or page like 'S% %' then 'PUT' else 'GET' end
    || '","page":"' || page
    || '","registration":' || case when is_anonymous then 'null' else registration || '.0' end
    || ',"sessionId":' || session_id
    || ',"song":' || coalesce('"' || replace(songs.title, '/', '\/') || '"', 'null')
    || ',"status":' || case when page = 'Error' then 404 when page in ('Logout', 'Login') or page like 'S% %' then 307 else 200 end
    || ',"ts":' || ts
    || ',"userAgent":' || case when is_anonymous then 'null' else '"' || replace(user_agent, '/', '\/') || '"' end
    || ',"userId":"' || case when is_anonymous then '' else user_id::varchar end || '"}' as line
from timed
inner join users using (user_id)
left join songs on songs.song = timed.song
left join turns using (user_id);

create table catalogue as
select
    'TR' || left(track, 16) as track_id,
    '{"num_songs": 1, "artist_id": "' || artist_id
    || '", "artist_latitude": ' || coalesce(latitude::varchar, 'null')
    || ', "artist_longitude": ' || coalesce(longitude::varchar, 'null')
    || ', "artist_location": "' || location
    || '", "artist_name": "' || artist_name
    || '", "song_id": "' || song_id
    || '", "title": "' || title
    || '", "duration": ' || regexp_replace(duration, '\.?0+$', '')
    || ', "year": ' || year || '}' as line
from songs
where is_catalogued;
