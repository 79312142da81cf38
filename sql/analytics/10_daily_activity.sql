-- title: Day by day
-- question: How many listeners, sessions and plays are there each day, free and paid?
-- chart: lines
-- x: day (day, UTC)
-- y: listeners (listeners a day), sessions (sessions a day), plays (plays a day)
-- series: level
-- headline: {peak[plays_of_day][day]} was the busiest day: listeners played {peak[plays_of_day][plays_of_day]:song}.
with activity as (
    select
        start_time::date as day,
        level,
        count(distinct user_id) as listeners,
        count(distinct session_id) as sessions,
        count(*) as plays
    from songplays
    where start_time between timestamp '2000-01-01' and dateadd(day, 1, getdate())
    group by start_time::date, level
),

days as (
    select distinct day
    from activity
),

levels as (
    select distinct level
    from activity
)

select
    days.day,
    levels.level,
    coalesce(activity.listeners, 0) as listeners,
    coalesce(activity.sessions, 0) as sessions,
    coalesce(activity.plays, 0) as plays,
    sum(activity.plays) over (partition by days.day) as plays_of_day
from days
cross join levels
left join activity
    on activity.day = days.day
    and activity.level = levels.level
order by days.day, levels.level
