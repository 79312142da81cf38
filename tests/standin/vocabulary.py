"""The words of Redshift's SQL that matter here: reserved names, existing functions, system tables."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


RESERVED = _words(
    """
    aes128 aes256 all allowoverwrite analyse analyze and any array as asc authorization az64 backup between
    binary blanksasnull both bytedict bzip2 case cast check collate column constraint create credentials cross
    current_date current_time current_timestamp current_user current_user_id deferrable deflate defrag delta
    delta32k desc disable distinct do else emptyasnull enable encode encrypt encryption end except explicit
    false for foreign freeze from full globaldict256 globaldict64k grant group gzip having identity ignore
    ilike in initially inner intersect interval into is isnull join language leading left like limit localtime
    localtimestamp lun luns lzo lzop minus mostly16 mostly32 mostly8 natural new not notnull null nulls off
    offline offset oid old on only open or order outer overlaps parallel partition percent permissions pivot
    placing primary qualify raw readratio recover references reject rejectlog resort respect restore right
    select session_user similar snapshot some sysdate system table tag tdes text255 text32k then timestamp to
    top trailing true truncatecolumns union unique unnest unpivot user using verbose wallet when where with
    without
    """
)

SHIMMED = _words(
    """
    add_months avg charindex concat convert_timezone date_part date_trunc dateadd datediff date_diff getdate
    json_extract_path_text last_day len pg_last_copy_count pg_last_copy_id regexp_replace regexp_substr round
    sha2 strtol trunc version
    """
)
"""Functions in the database's schema `redshift`, because PostgreSQL's differ or are missing."""

REWRITTEN = _words(
    """
    decode isnull listagg median nvl nvl2 ratio_to_report
    """
)
"""Functions that become other expressions."""

PLAIN = _words(
    """
    abs acos any_value ascii asin atan atan2 bit_and bit_or bool_and bool_or btrim cbrt ceil ceiling
    char_length character_length chr coalesce cos cot count cume_dist degrees dense_rank exp first_value floor
    greatest initcap lag last_value lead least left length ln log lower lpad ltrim max md5 min mod nth_value
    ntile nullif octet_length percent_rank percentile_cont percentile_disc pi pow power quote_ident
    quote_literal radians random rank regexp_count regexp_instr repeat replace replicate reverse right
    row_number rpad rtrim sign sin split_part sqrt stddev stddev_pop stddev_samp strpos substr substring sum
    tan to_char to_date to_hex to_number to_timestamp translate trim upper var_pop var_samp variance
    width_bucket
    """
)
"""Functions that mean the same in PostgreSQL."""

LEADER_NODE_ONLY = _words(
    """
    age current_database current_schema current_schemas has_database_privilege has_schema_privilege
    has_table_privilege isfinite now pg_backend_pid pg_get_userbyid pg_table_is_visible version
    """
)
"""Functions that no statement on a user's table can use."""

FUNCTIONS = SHIMMED | REWRITTEN | PLAIN | LEADER_NODE_ONLY

FRAMED = _words(
    """
    avg count first_value last_value max min nth_value stddev stddev_pop stddev_samp sum var_pop var_samp
    variance
    """
)
"""Window functions that Redshift gives no default frame to, once there is an ORDER BY."""

SYSTEM_TABLES = _words(
    """
    svv_columns svv_tables sys_load_history sys_load_detail sys_load_error_detail
    """
)
LEADER_NODE_TABLES = ("pg_", "svv_", "information_schema")

MISSING_TYPES = frozenset(
    """
    array bigserial bit box hstore inet int4range json jsonb list map money nullable object serial smallserial struct
    tsrange tsvector unknown userdefined uuid xml
    """.upper().split()
)

SETTINGS = _words(
    """
    application_name client_encoding datestyle extra_float_digits search_path statement_timeout timezone
    """
)
"""Settings that PostgreSQL understands as Redshift does."""

IGNORED_SETTINGS = _words(
    """
    analyze_threshold_percent case_super_nullify cast_super_null_on_error describe_field_name_in_uppercase
    enable_case_sensitive_identifier enable_result_cache_for_session json_parse_truncate_strings
    max_concurrency_scaling_clusters query_group wlm_query_slot_count
    """
)
