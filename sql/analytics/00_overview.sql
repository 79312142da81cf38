-- title: What this covers
-- question: How much listening are these answers based on?
-- chart: figures
-- value: plays (songs played), listeners (listeners), sessions (sessions), percent_paid (of plays on the paid plan)
-- with: plays, days
-- headline: {first[listeners]:listener} played {first[plays]:song} from {first[first_day]} to {first[last_day]} (UTC).
with periods as (
    select
        day,
        datediff(day, day, max(day) over ()) / 7 as weeks_ago
    from days
),

observed as (
    select
        count(case when weeks_ago = 0 then 1 end) as latest_days,
        count(case when weeks_ago = 1 then 1 end) as earlier_days
    from periods
),

counted as (
    select
        count(*) as plays,
        count(distinct plays.user_id) as listeners,
        count(distinct plays.session) as sessions,
        100 * avg(case when plays.level = 'paid' then 1.0 else 0.0 end)::float as percent_paid,
        min(plays.day) as first_day,
        max(plays.day) as last_day,
        count(case when periods.weeks_ago = 0 then 1 end)::float as latest_plays,
        count(case when periods.weeks_ago = 1 then 1 end)::float as earlier_plays,
        count(distinct case when periods.weeks_ago = 0 then plays.user_id end)::float as latest_listeners,
        count(distinct case when periods.weeks_ago = 1 then plays.user_id end)::float as earlier_listeners,
        count(distinct case when periods.weeks_ago = 0 then plays.session end)::float as latest_sessions,
        count(distinct case when periods.weeks_ago = 1 then plays.session end)::float as earlier_sessions,
        count(case when periods.weeks_ago = 0 and plays.level = 'paid' then 1 end)::float as latest_paid,
        count(case when periods.weeks_ago = 1 and plays.level = 'paid' then 1 end)::float as earlier_paid
    from plays
    inner join periods
        on periods.day = plays.day
)

select
    counted.plays,
    counted.listeners,
    counted.sessions,
    counted.percent_paid,
    counted.first_day,
    counted.last_day,
    -- a change is known only if both weeks have events on all of their days
    observed.latest_days,
    observed.earlier_days,
    case
        when observed.latest_days = 7 and observed.earlier_days = 7
            then 100 * (counted.latest_plays / nullif(counted.earlier_plays, 0) - 1)
    end as plays_change,
    case
        when observed.latest_days = 7 and observed.earlier_days = 7
            then 100 * (counted.latest_listeners / nullif(counted.earlier_listeners, 0) - 1)
    end as listeners_change,
    case
        when observed.latest_days = 7 and observed.earlier_days = 7
            then 100 * (counted.latest_sessions / nullif(counted.earlier_sessions, 0) - 1)
    end as sessions_change,
    case
        when observed.latest_days = 7 and observed.earlier_days = 7
            then
                100 * counted.latest_paid / nullif(counted.latest_plays, 0)
                - 100 * counted.earlier_paid / nullif(counted.earlier_plays, 0)
    end as percent_paid_change
from counted
cross join observed
where counted.plays > 0
