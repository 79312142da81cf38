-- title: Most played songs that are not in the catalogue
-- question: Which songs should the data team add to the catalogue first?
-- chart: bars
-- x: plays (plays)
-- y: song (song)
-- headline: “{first[song]}” by {first[artist]} is the most played of them: {first[plays]:play} by {first[listeners]:listener}.
-- nothing: The catalogue has every song that was played.
with plays as (
    select
        user_id,
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

live as (
    select
        song_id,
        title,
        artist_name,
        duration,
        batch_id,
        max(batch_id) over (partition by song_id) as newest
    from catalogue
)

select
    plays.song,
    plays.artist,
    count(*) as plays,
    count(distinct plays.user_id) as listeners
from plays
left join live
    on live.title = plays.song
    and live.artist_name = plays.artist
    and live.duration = plays.length
    and live.batch_id = live.newest
where plays.delivery = 1 and live.song_id is null
group by plays.song, plays.artist
order by plays desc, plays.song, plays.artist
limit 15
