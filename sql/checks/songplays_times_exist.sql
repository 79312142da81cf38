-- Every songplay's start_time is in time.
select
    songplays.songplay_id,
    songplays.start_time
from touched_songplays as songplays
left join time
    on time.start_time = songplays.start_time
where time.start_time is null
