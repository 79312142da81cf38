-- Every songplay started between 2000, before the service did, and tomorrow.
select
    songplay_id,
    start_time::varchar as start_time,  -- as text: clients have no year 50803, which microseconds are read as
    user_id,
    session_id
from songplays
where start_time not between timestamp '2000-01-01' and dateadd(day, 1, getdate())
