-- title: Most played songs that are not in the catalogue
-- question: Which songs should the data team add to the catalogue first?
-- section: Catalogue
-- chart: bars
-- x: plays (plays)
-- y: song (song), artist (artist)
-- with: heard, entries
-- rank: plays
-- headline: “{first[song]}” by {first[artist]} is the most played of them, with {first[plays]:play} by {first[listeners]:listener}.
-- nothing: The catalogue has every song that was played.
select
    heard.song,
    heard.artist,
    count(*) as plays,
    count(distinct heard.user_id) as listeners
from heard
left join entries
    on entries.title = heard.song
    and entries.artist_name = heard.artist
    and entries.duration = heard.length
where entries.title is null
group by heard.song, heard.artist
order by plays desc, heard.song, heard.artist
limit 15
