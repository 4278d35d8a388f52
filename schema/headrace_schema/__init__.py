"""headrace's tables in ClickHouse: columns, migrations, and the check that servers have them."""
