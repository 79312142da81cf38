-- title: Songs that people play again
-- question: Which songs did the most listeners play more than once?
-- section: Music
-- chart: bars
-- x: repeating_listeners (listeners who played it again), percent_repeating (% of its listeners)
-- y: song (song), artist (artist)
-- with: heard
-- rank: repeating_listeners
-- headline: “{first[song]}” by {first[artist]} was played more than once by {first[repeating_listeners]} of its {first[listeners]:listener}.
-- nothing: No listener played a song more than once.
with listening as (
    select
        song,
        artist,
        user_id,
        count(*) as plays
    from heard
    where user_id is not null and song is not null and artist is not null
    group by song, artist, user_id
)

select
    song,
    artist,
    count(case when plays > 1 then 1 end) as repeating_listeners,
    count(*) as listeners,
    100 * count(case when plays > 1 then 1 end)::float / count(*) as percent_repeating,
    sum(plays) as plays,
    max(plays) as most_by_one
from listening
group by song, artist
having count(case when plays > 1 then 1 end) > 0
order by repeating_listeners desc, plays desc, song, artist
limit 15
