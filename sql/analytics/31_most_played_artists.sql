-- title: Most played artists
-- question: Which artists are played the most, whether the catalogue has them or not?
-- section: Music
-- chart: bars
-- x: plays (plays), listeners (listeners)
-- y: artist (artist)
-- mark: in_catalogue (not in the catalogue)
-- with: heard, entries
-- rank: plays
-- headline: {first[artist]} is played the most, with {first[plays]:play} of {first[songs]:song} by {first[listeners]:listener}. The catalogue has the song of {first[catalogued]} of these plays.
with artists as (
    select distinct artist_name
    from entries
)

select
    heard.artist,
    count(*) as plays,
    count(distinct heard.user_id) as listeners,
    count(distinct heard.song) as songs,
    count(entries.title) as catalogued,
    case when count(artists.artist_name) > 0 then 'yes' else 'no' end as in_catalogue
from heard
left join entries
    on entries.title = heard.song
    and entries.artist_name = heard.artist
    and entries.duration = heard.length
left join artists
    on artists.artist_name = heard.artist
where heard.artist is not null
group by heard.artist
order by plays desc, heard.artist
limit 15
