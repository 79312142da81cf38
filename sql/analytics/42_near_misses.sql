-- title: Plays that nearly match the catalogue
-- question: Which plays would match if a duration or a spelling were fixed?
-- section: Catalogue
-- chart: table
-- with: heard, entries
-- headline: Fixing these would match {total[plays]:play}, {first[plays]} of them of “{first[song]}” by {first[artist]}.
-- nothing: No play nearly matches the catalogue.
-- texts without case, spacing, punctuation, and characters that an encoding may have broken
with plays as (
    select
        song,
        artist,
        length,
        regexp_replace(lower(song), '[^a-z0-9]', '') as song_letters,
        regexp_replace(lower(artist), '[^a-z0-9]', '') as artist_letters,
        count(*) as plays
    from heard
    group by song, artist, length
),

spelled as (
    select
        title,
        artist_name,
        duration,
        regexp_replace(lower(title), '[^a-z0-9]', '') as song_letters,
        regexp_replace(lower(artist_name), '[^a-z0-9]', '') as artist_letters
    from entries
),

missed as (
    select plays.*
    from plays
    left join spelled
        on spelled.title = plays.song
        and spelled.artist_name = plays.artist
        and spelled.duration = plays.length
    where spelled.title is null
),

alike as (
    select
        missed.song,
        missed.artist,
        missed.length,
        missed.plays,
        spelled.title as catalogue_song,
        spelled.artist_name as catalogue_artist,
        spelled.duration as catalogue_length,
        case
            when spelled.title = missed.song and spelled.artist_name = missed.artist then 1
            when
                replace(lower(spelled.title), ' ', '') = replace(lower(missed.song), ' ', '')
                and replace(lower(spelled.artist_name), ' ', '') = replace(lower(missed.artist), ' ', '') then 2
            else 3
        end as distance
    from missed
    inner join spelled
        on spelled.song_letters = missed.song_letters
        and spelled.artist_letters = missed.artist_letters
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
