-- title: Most played songs that are not in the catalogue
-- question: Which songs of the latest load should the data team add to the catalogue first?
-- chart: bars
-- x: plays (plays in the latest load)
-- y: song (song)
-- headline: “{first[song]}” by {first[artist]} is the most played of them: {first[plays]:play} by {first[listeners]:listener}.
-- nothing: The catalogue has every song of the latest load.
with plays as (
    select
        user_id,
        song,
        artist,
        length,
        row_number() over (
            partition by ts, user_id, session_id, item_in_session
            order by level, location, user_agent, song, artist, length
        ) as delivery
    from staging_events
    where page = 'NextSong'
)

select
    plays.song,
    plays.artist,
    count(*) as plays,
    count(distinct plays.user_id) as listeners
from plays
left join staging_songs
    on staging_songs.title = plays.song
    and staging_songs.artist_name = plays.artist
    and staging_songs.duration = plays.length
where plays.delivery = 1 and staging_songs.song_id is null
group by plays.song, plays.artist
order by plays desc, plays.song, plays.artist
limit 15
