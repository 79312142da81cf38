-- title: Upgrades and downgrades
-- question: On which days do listeners change between the free and the paid plan?
-- chart: columns
-- x: day (day, UTC)
-- y: upgrades (upgrades a day), downgrades (downgrades a day)
-- headline: Listeners made {total[upgrades]:upgrade} and {total[downgrades]:downgrade}, judging by their plays.
with plays as (
    select
        start_time,
        level,
        lag(level) over (partition by user_id order by start_time, songplay_id) as level_before
    from songplays
    where user_id is not null and start_time between timestamp '2000-01-01' and dateadd(day, 1, getdate())
)

select
    start_time::date as day,
    count(case when level_before = 'free' and level = 'paid' then 1 end) as upgrades,
    count(case when level_before = 'paid' and level = 'free' then 1 end) as downgrades
from plays
group by start_time::date
order by day
