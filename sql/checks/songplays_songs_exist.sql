-- Every songplay's song is in songs.
select
    songplays.songplay_id,
    songplays.song_id
from touched_songplays as songplays
left join songs
    on songs.song_id = songplays.song_id
where songplays.song_id is not null and songs.song_id is null
