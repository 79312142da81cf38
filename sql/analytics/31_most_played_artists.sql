-- title: Most played artists
-- question: Which artists in the catalogue are played the most?
-- chart: bars
-- x: plays (plays)
-- y: artist (artist)
-- headline: {first[artist]} leads the catalogue with {first[plays]:play} by {first[listeners]:listener}.
-- nothing: No played artist is in the catalogue.
select
    artists.name as artist,
    count(*) as plays,
    count(distinct songplays.user_id) as listeners,
    count(distinct songplays.song_id) as songs
from songplays
inner join artists
    on artists.artist_id = songplays.artist_id
group by artists.artist_id, artists.name
order by plays desc, artist
limit 15
