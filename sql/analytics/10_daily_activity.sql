-- title: Day by day
-- question: How many listeners, sessions and plays are there each day, free and paid?
-- section: Audience
-- chart: lines
-- x: day (day, UTC)
-- y: listeners (listeners a day), sessions (sessions a day), plays (plays a day)
-- series: level
-- with: plays, days
-- rank: plays_of_day
-- headline: {peak[plays_of_day][day]} was the busiest day, with {peak[plays_of_day][plays_of_day]:play}. A day had {first[average_of_days]} on average ({first[days]:day} with events).
with activity as (
    select
        day,
        level,
        count(distinct user_id) as listeners,
        count(distinct session) as sessions,
        count(*) as plays
    from plays
    group by day, level
),

levels as (
    select distinct level
    from activity
),

totals as (
    select
        count(*) as days,
        (select count(*) from plays)::float / nullif(count(*), 0) as average_of_days
    from days
)

select
    days.day,
    levels.level,
    coalesce(activity.listeners, 0) as listeners,
    coalesce(activity.sessions, 0) as sessions,
    coalesce(activity.plays, 0) as plays,
    sum(coalesce(activity.plays, 0)) over (partition by days.day) as plays_of_day,
    totals.average_of_days,
    totals.days
from days
cross join levels
cross join totals
left join activity
    on activity.day = days.day
    and activity.level = levels.level
order by days.day, levels.level
