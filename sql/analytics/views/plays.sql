-- One row per play at a plausible time, from 2000 to tomorrow.
-- filters: level, day
select
    songplay_id,
    start_time,
    start_time::date as day,
    date_trunc('week', start_time)::date as week,
    user_id,
    level,
    -- two users may share a session's number
    coalesce(user_id::varchar, 'none') || '-' || coalesce(session_id::varchar, 'none') as session,
    location,
    user_agent,
    song_id
from songplays
where start_time between timestamp '2000-01-01' and dateadd(day, 1, getdate())
