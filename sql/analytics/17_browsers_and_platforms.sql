-- title: Browsers and platforms
-- question: Which browsers and systems do people listen with?
-- section: Audience
-- chart: bars
-- x: listeners (listeners), plays_per_listener (plays per listener)
-- y: agent (browser and system)
-- with: plays
-- rank: listeners
-- headline: {first[agent]} has the most listeners: {first[listeners]} of {first[all_listeners]}, with {first[plays_per_listener]:play} each on average.
with agents as (
    select
        user_id,
        -- in this order, because each user agent also names the browsers that follow it here
        case
            when user_agent like '%Edge/%' or user_agent like '%Edg/%' then 'Edge'
            when user_agent like '%OPR/%' or user_agent like '%Opera%' then 'Opera'
            when user_agent like '%Firefox/%' then 'Firefox'
            when user_agent like '%Chrome/%' or user_agent like '%CriOS/%' then 'Chrome'
            when user_agent like '%MSIE %' or user_agent like '%Trident/%' then 'Internet Explorer'
            when user_agent like '%Safari/%' or user_agent like '%AppleWebKit/%' then 'Safari'
            else 'other'
        end as browser,
        case
            when user_agent like '%iPhone%' then 'iPhone'
            when user_agent like '%iPad%' then 'iPad'
            when user_agent like '%Android%' then 'Android'
            when user_agent like '%Windows%' then 'Windows'
            when user_agent like '%Macintosh%' then 'Mac'
            when user_agent like '%Linux%' then 'Linux'
            else 'other'
        end as platform
    from plays
    where user_id is not null
),

everybody as (
    select count(distinct user_id) as listeners
    from agents
)

select
    agents.browser || ' on ' || agents.platform as agent,
    count(distinct agents.user_id) as listeners,
    count(*) as plays,
    count(*)::float / count(distinct agents.user_id) as plays_per_listener,
    everybody.listeners as all_listeners
from agents
cross join everybody
group by agents.browser || ' on ' || agents.platform, everybody.listeners
order by count(distinct agents.user_id) desc, count(*) desc, agent
