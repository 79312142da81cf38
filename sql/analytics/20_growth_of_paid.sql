-- title: Growth of the paid plan
-- question: How many of each week's listeners are on the paid plan at the end of the week?
-- section: Plans
-- chart: columns
-- x: week (week, from its Monday)
-- y: paid_listeners (paying listeners), percent_paid (% of the week's listeners)
-- with: plays, days
-- whole: level
-- few: listeners
-- headline: {last[percent_paid]} % of {last[listeners]:listener} in the week from {last[week]} ({last[days]:day} with events) were on the paid plan; in the week from {first[week]} ({first[days]:day}), {first[percent_paid]} % of {first[listeners]}.
with ordered as (
    select
        week,
        level,
        row_number() over (partition by week, user_id order by start_time desc, songplay_id desc) as recency
    from plays
    where user_id is not null
),

observed as (
    select
        date_trunc('week', day)::date as week,
        count(*) as days
    from days
    group by date_trunc('week', day)
)

select
    ordered.week,
    observed.days,
    count(*) as listeners,
    count(case when ordered.level = 'paid' then 1 end) as paid_listeners,
    100 * count(case when ordered.level = 'paid' then 1 end)::float / count(*) as percent_paid
from ordered
inner join observed
    on observed.week = ordered.week
where ordered.recency = 1
group by ordered.week, observed.days
order by ordered.week
