-- title: Sessions, free and paid
-- question: How long are sessions, and how many songs do they have?
-- chart: bars
-- x: median_minutes (median minutes a session), average_songs (songs a session, on average)
-- y: level (plan)
-- headline: Median minutes from the first song of a session to its last: {each[level median_minutes]}.
with sessions as (
    select
        user_id,
        session_id,
        max(level) as level,  -- paid if the plan changed during the session
        count(*) as songs,
        datediff(s, min(start_time), max(start_time)) / 60.0::float as minutes
    from songplays
    where start_time between timestamp '2000-01-01' and dateadd(day, 1, getdate())
    group by user_id, session_id
)

select
    level,
    count(*) as sessions,
    median(minutes)::float as median_minutes,
    avg(minutes)::float as average_minutes,
    avg(songs::float) as average_songs,
    max(songs) as most_songs
from sessions
group by level
order by level
