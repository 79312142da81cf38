-- title: Most played songs
-- question: Which songs are played the most, whether the catalogue has them or not?
-- section: Music
-- chart: bars
-- x: plays (plays)
-- y: song (song), artist (artist)
-- mark: in_catalogue (not in the catalogue)
-- with: heard, entries
-- rank: plays
-- headline: “{first[song]}” by {first[artist]} is played the most, with {first[plays]:play} by {first[listeners]:listener}.
select
    heard.song,
    heard.artist,
    count(*) as plays,
    count(distinct heard.user_id) as listeners,
    case when count(entries.title) > 0 then 'yes' else 'no' end as in_catalogue
from heard
left join entries
    on entries.title = heard.song
    and entries.artist_name = heard.artist
    and entries.duration = heard.length
where heard.song is not null and heard.artist is not null
group by heard.song, heard.artist
order by plays desc, heard.song, heard.artist
limit 15
