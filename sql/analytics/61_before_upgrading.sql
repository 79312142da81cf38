-- title: Listening before the upgrade
-- question: How much do listeners play on the free plan before their first upgrade, compared with those who never upgrade?
-- chart: bars
-- x: median_plays (median plays on the free plan), average_sessions (sessions, on average)
-- y: listener (listeners)
-- headline: Median songs played on the free plan: {each[listener median_plays]}.
with plays as (
    select
        user_id,
        session_id,
        start_time,
        level,
        lag(level) over (partition by user_id order by start_time, songplay_id) as level_before
    from songplays
    where user_id is not null
),

upgrades as (
    select
        user_id,
        min(start_time) as upgraded_at
    from plays
    where level_before = 'free' and level = 'paid'
    group by user_id
),

listening as (
    select
        plays.user_id,
        case when upgrades.user_id is null then 'never upgraded' else 'before upgrading' end as listener,
        count(*) as plays,
        count(distinct plays.session_id) as sessions
    from plays
    left join upgrades
        on upgrades.user_id = plays.user_id
    where plays.level = 'free' and (upgrades.user_id is null or plays.start_time <= upgrades.upgraded_at)
    group by plays.user_id, upgrades.user_id
)

select
    listener,
    count(*) as listeners,
    median(plays)::float as median_plays,
    avg(plays::float) as average_plays,
    avg(sessions::float) as average_sessions
from listening
group by listener
order by listener
