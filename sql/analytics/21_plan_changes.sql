-- title: Upgrades and downgrades
-- question: On which days do listeners change between the free and the paid plan?
-- section: Plans
-- chart: columns
-- x: day (day, UTC)
-- y: upgrades (upgrades a day), downgrades (downgrades a day)
-- with: plays, days
-- whole: level
-- headline: {first[changing_listeners]:listener} of {first[all_listeners]} made {total[upgrades]:upgrade} and {total[downgrades]:downgrade}, judging by their plays.
with ordered as (
    select
        day,
        user_id,
        level,
        lag(level) over (partition by user_id order by start_time, songplay_id) as level_before
    from plays
    where user_id is not null
),

changes as (
    select
        day,
        count(case when level_before = 'free' and level = 'paid' then 1 end) as upgrades,
        count(case when level_before = 'paid' and level = 'free' then 1 end) as downgrades
    from ordered
    group by day
),

listeners as (
    select
        count(distinct case when level_before <> level then user_id end) as changing_listeners,
        count(distinct user_id) as all_listeners
    from ordered
)

select
    days.day,
    coalesce(changes.upgrades, 0) as upgrades,
    coalesce(changes.downgrades, 0) as downgrades,
    listeners.changing_listeners,
    listeners.all_listeners
from days
cross join listeners
left join changes
    on changes.day = days.day
where listeners.all_listeners > 0
order by days.day
