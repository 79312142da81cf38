-- title: Sessions, free and paid
-- question: How long are sessions, and how many songs do they have?
-- section: Audience
-- chart: bars
-- x: median_minutes (median minutes a session), average_songs (songs a session, on average)
-- y: level (plan)
-- with: plays
-- few: sessions
-- headline: Median minutes from the first song of a session to its last: {each[level median_minutes sessions]:session}.
with sessions as (
    select
        session,
        max(level) as level,  -- paid if the plan changed during the session
        count(*) as songs,
        datediff(s, min(start_time), max(start_time)) / 60.0::float as minutes
    from plays
    group by session
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
