-- Every songplay's user is in users.
select
    songplays.songplay_id,
    songplays.user_id
from touched_songplays as songplays
left join users
    on users.user_id = songplays.user_id
where songplays.user_id is not null and users.user_id is null
