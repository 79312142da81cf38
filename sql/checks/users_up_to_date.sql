-- No user's level is older than the user's newest songplay before 2100.
select
    users.user_id,
    users.level,
    users.updated_at,
    newest.start_time as played_at
from users
inner join (
    select
        user_id,
        max(start_time) as start_time
    from touched_songplays
    where start_time < timestamp '2100-01-01'
    group by user_id
) as newest
    on newest.user_id = users.user_id
where users.updated_at < newest.start_time
