// What tsc does not see. Types are not asked for here: that would take as long as a second compilation.
import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

export default tseslint.config(eslint.configs.recommended, tseslint.configs.recommended);
