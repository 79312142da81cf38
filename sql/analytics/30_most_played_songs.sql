-- title: Most played songs
-- question: Which songs in the catalogue are played the most?
-- chart: bars
-- x: plays (plays)
-- y: song (song)
-- headline: “{first[song]}” by {first[artist]} leads the catalogue with {first[plays]:play}.
-- nothing: No played song is in the catalogue.
select
    songs.title as song,
    artists.name as artist,
    count(*) as plays,
    count(distinct songplays.user_id) as listeners
from songplays
inner join songs
    on songs.song_id = songplays.song_id
left join artists
    on artists.artist_id = songplays.artist_id
group by songs.song_id, songs.title, artists.name
order by plays desc, song, artist
limit 15
