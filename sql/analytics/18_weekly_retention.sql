-- title: Who comes back
-- question: What share of those first seen in a week (the latest 12) listen again in each of the 12 weeks after it?
-- section: Audience
-- chart: heatmap
-- x: weeks_later (weeks later)
-- y: first_week (first week), new_listeners (listeners)
-- value: percent_back (% of them back)
-- with: plays, days
-- few: new_listeners
-- headline: Of {first[new_listeners]:listener} first seen in the week from {first[first_week]}, {first[percent_back]} % came back {first[weeks_later]:week} later ({first[days_of_week]:day} of which have events).
-- nothing: This needs plays from at least two weeks.
with activity as (
    select distinct
        user_id,
        week
    from plays
    where user_id is not null
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
    select
        date_trunc('week', day)::date as week,
        count(*) as days_of_week
    from days
    group by date_trunc('week', day)
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
    100 * coalesce(returns.returned, 0)::float / cohorts.new_listeners as percent_back,
    weeks.days_of_week
from cohorts
inner join weeks
    on weeks.week > cohorts.first_week
    and weeks.week <= dateadd(day, 84, cohorts.first_week)
left join returns
    on returns.first_week = cohorts.first_week
    and returns.week = weeks.week
where cohorts.recency <= 12
order by cohorts.first_week, weeks.week
