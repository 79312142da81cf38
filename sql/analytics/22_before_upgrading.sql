-- title: Listening before the upgrade
-- question: How much do listeners play on the free plan before their first upgrade, compared with those who never upgrade?
-- section: Plans
-- chart: bars
-- x: median_plays_a_day (median plays on a day of listening), median_days (median days of listening)
-- y: listener (listeners)
-- with: plays
-- whole: level
-- few: listeners
-- headline: Songs on a day of listening on the free plan, as the median of listeners: {each[listener median_plays_a_day listeners]:listener}.
with ordered as (
    select
        user_id,
        day,
        start_time,
        level,
        lag(level) over (partition by user_id order by start_time, songplay_id) as level_before
    from plays
    where user_id is not null
),

upgrades as (
    select
        user_id,
        min(start_time) as upgraded_at
    from ordered
    where level_before = 'free' and level = 'paid'
    group by user_id
),

listening as (
    select
        ordered.user_id,
        case when upgrades.user_id is null then 'never upgraded' else 'before upgrading' end as listener,
        count(*) as plays,
        count(distinct ordered.day) as days
    from ordered
    left join upgrades
        on upgrades.user_id = ordered.user_id
    where ordered.level = 'free' and (upgrades.user_id is null or ordered.start_time <= upgrades.upgraded_at)
    group by ordered.user_id, upgrades.user_id
)

select
    listener,
    count(*) as listeners,
    median(plays::float / days)::float as median_plays_a_day,
    median(plays)::float as median_plays,
    median(days)::float as median_days
from listening
group by listener
order by listener
