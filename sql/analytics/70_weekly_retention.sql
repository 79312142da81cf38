-- title: Who comes back
-- question: What share of a week's new listeners listen again in each later week (latest 12 weeks)?
-- chart: heatmap
-- x: weeks_later (weeks later)
-- y: first_week (first week)
-- value: share (% of the week's new listeners)
-- headline: Of {first[new_listeners]:listener} first seen in the week from {first[first_week]}, {first[share]:.0f} % came back {first[weeks_later]:week} later.
-- nothing: This needs plays from at least two weeks.
with activity as (
    select distinct
        user_id,
        date_trunc('week', start_time)::date as week
    from songplays
    where user_id is not null and start_time between timestamp '2000-01-01' and dateadd(day, 1, getdate())
),

firsts as (
    select
        user_id,
        min(week) as first_week
    from activity
    group by user_id
),

cohorts as (
    select
        first_week,
        count(*) as new_listeners,
        row_number() over (order by first_week desc) as recency
    from firsts
    group by first_week
),

weeks as (
    select distinct week
    from activity
),

returns as (
    select
        firsts.first_week,
        activity.week,
        count(*) as returned
    from firsts
    inner join activity
        on activity.user_id = firsts.user_id
    group by firsts.first_week, activity.week
)

select
    cohorts.first_week,
    datediff(day, cohorts.first_week, weeks.week) / 7 as weeks_later,
    cohorts.new_listeners,
    coalesce(returns.returned, 0) as returned,
    100 * coalesce(returns.returned, 0)::float / cohorts.new_listeners as share
from cohorts
inner join weeks
    on weeks.week > cohorts.first_week
left join returns
    on returns.first_week = cohorts.first_week
    and returns.week = weeks.week
where cohorts.recency <= 12
order by cohorts.first_week, weeks.week
