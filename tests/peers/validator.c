/* A validator of OAuth tokens for the PostgreSQL 18 of the tests (manual: "OAuth Validator Modules").
 *
 * The file TOKENS has a line `token user` for each token that is good. */

#include "postgres.h"

#include "fmgr.h"
#include "libpq/oauth.h"

PG_MODULE_MAGIC;

static bool
validate(const ValidatorModuleState *state, const char *token, const char *role, ValidatorModuleResult *result)
{
	static char line[65536];
	size_t		length = strlen(token);
	FILE	   *tokens = fopen(TOKENS, "r");

	if (tokens == NULL)
		return false;
	while (fgets(line, sizeof(line), tokens) != NULL)
	{
		if (strncmp(line, token, length) == 0 && line[length] == ' ')
		{
			line[strcspn(line, "\n")] = '\0';
			result->authn_id = pstrdup(line + length + 1);
			result->authorized = true;
			break;
		}
	}
	fclose(tokens);
	return true;
}

static const OAuthValidatorCallbacks callbacks = {
	.magic = PG_OAUTH_VALIDATOR_MAGIC,
	.validate_cb = validate,
};

const OAuthValidatorCallbacks *
_PG_oauth_validator_module_init(void)
{
	return &callbacks;
}
