-- title: Plays that nearly match the catalogue
-- question: Which plays would match if a duration or a spelling were fixed?
-- chart: table
-- headline: Fixing these would match {total[plays]:play}, {first[plays]} of them of “{first[song]}” by {first[artist]}.
-- nothing: No play nearly matches the catalogue.
with deliveries as (
    select
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

-- texts without case, spacing, punctuation, and characters that an encoding may have broken
plays as (
    select
        song,
        artist,
        length,
        regexp_replace(lower(song), '[^a-z0-9]', '') as song_letters,
        regexp_replace(lower(artist), '[^a-z0-9]', '') as artist_letters,
        count(*) as plays
    from deliveries
    where delivery = 1
    group by song, artist, length
),

live as (
    select
        title,
        artist_name,
        duration,
        batch_id,
        max(batch_id) over (partition by song_id) as newest
    from catalogue
),

entries as (
    select
        title,
        artist_name,
        duration,
        regexp_replace(lower(title), '[^a-z0-9]', '') as song_letters,
        regexp_replace(lower(artist_name), '[^a-z0-9]', '') as artist_letters
    from live
    where batch_id = newest
),

missed as (
    select plays.*
    from plays
    left join entries
        on entries.title = plays.song
        and entries.artist_name = plays.artist
        and entries.duration = plays.length
    where entries.title is null
),

alike as (
    select
        missed.song,
        missed.artist,
        missed.length,
        missed.plays,
        entries.title as catalogue_song,
        entries.artist_name as catalogue_artist,
        entries.duration as catalogue_length,
        case
            when entries.title = missed.song and entries.artist_name = missed.artist then 1
            when
                replace(lower(entries.title), ' ', '') = replace(lower(missed.song), ' ', '')
                and replace(lower(entries.artist_name), ' ', '') = replace(lower(missed.artist), ' ', '') then 2
            else 3
        end as distance
    from missed
    inner join entries
        on entries.song_letters = missed.song_letters
        and entries.artist_letters = missed.artist_letters
    where missed.song_letters <> '' and missed.artist_letters <> ''
),

nearest as (
    select
        alike.*,
        row_number() over (
            partition by song, artist, length
            order by distance, abs(catalogue_length - length), catalogue_song, catalogue_artist, catalogue_length
        ) as nearness
    from alike
)

select
    song,
    artist,
    length::float as seconds,
    case distance
        when 1 then 'another duration'
        when 2 then 'case or spacing'
        else 'encoding or punctuation'
    end as differs_by,
    catalogue_song,
    catalogue_artist,
    catalogue_length::float as catalogue_seconds,
    plays
from nearest
where nearness = 1
order by plays desc, song, artist, seconds
limit 50
