-- Every songplay's artist is in artists.
select
    songplays.songplay_id,
    songplays.artist_id
from touched_songplays as songplays
left join artists
    on artists.artist_id = songplays.artist_id
where songplays.artist_id is not null and artists.artist_id is null
